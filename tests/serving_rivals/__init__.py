"""The same model behind other servers: one standalone script each, run by an environment of its own."""
