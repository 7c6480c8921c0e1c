"""What the three replayed experiments share; the losses, the networks and the training loop are whichloss's own."""
