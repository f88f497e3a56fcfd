"""How to speak to a server and try again."""
