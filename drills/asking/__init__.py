"""How a service is asked and how its answers are read: the built-in adapter and any other, as templates."""
