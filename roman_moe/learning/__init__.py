"""Networks, behaviour cloning, export, collection and evaluation. Only this room imports torch."""
