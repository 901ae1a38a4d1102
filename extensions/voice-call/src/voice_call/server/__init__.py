"""The HTTP side of a carrier: webhooks in, one durable answer each out."""
