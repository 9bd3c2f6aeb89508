"""How a child was made out of known models, one file a way; each reads fingerprints and knows no other way."""
