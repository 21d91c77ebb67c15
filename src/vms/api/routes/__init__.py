"""The routes, a module a subject. Each gets what it needs from `Ports` through `dependencies`."""
