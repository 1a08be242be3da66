"""The only loop: what arrives goes through the cores, and what they ask for is carried out."""
