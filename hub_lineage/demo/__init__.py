"""The demonstration: bundled models, really fine-tuned, served by a Hub on this machine."""
