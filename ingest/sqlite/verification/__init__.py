"""The parts of the verification (verifier.py): how old values are read, what is compared, and what is reported."""
