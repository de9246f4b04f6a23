"""One file per GAN; see base.py for the protocol. May import encode, nn, losses and registry."""
