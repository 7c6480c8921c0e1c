"""The goal `classify`: predicted probabilities are judged by the labels of rows that nothing was trained on."""
