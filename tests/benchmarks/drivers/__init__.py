"""How each tool is used: a module a tool, which needs nothing of this project and runs where the tool is installed."""
