"""Carriers: two pure codecs and call control each; siblings do not know each other."""
