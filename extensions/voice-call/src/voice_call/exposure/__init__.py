"""How the world reaches us: public URLs, proxies and tunnels."""
