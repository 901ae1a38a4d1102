"""Peers for tests, shipped because plugins and applications need them too.

`model_server` answers as OpenAI- and Anthropic-compatible servers do, on loopback.
"""
