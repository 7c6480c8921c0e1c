"""The goal `embed`: where rows lie is judged by the classes of rows that nothing was trained on."""
