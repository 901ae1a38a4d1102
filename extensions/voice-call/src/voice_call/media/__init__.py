"""The media core: pure, bytes in and bytes out."""
