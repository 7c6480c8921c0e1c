"""The parts of ebgan_why.py: the forms and their network, training, what is measured, what is shown."""
