"""The cluster of docker-compose.yml, also as processes on this machine (`python -m deploy`)."""
