"""What examples/contrastive_why.py is made of."""
