"""Where a model on the Hugging Face Hub comes from, told from its weights."""

__version__ = "0.1.0"
