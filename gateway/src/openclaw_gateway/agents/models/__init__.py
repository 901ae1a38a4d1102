"""Language models: one interface, and one adapter for each kind of API.

`base` is the interface, `providers` says which API answers where, `openai` and
`anthropic` speak through the official SDKs, imported on first use.
"""
