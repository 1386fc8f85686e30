"""Make a potential: frames, labels, dataset, training, exploration, card."""
