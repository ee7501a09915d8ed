"""How anyone talks to a controller: HTTP and WebSocket, nothing else. Imports the contract only."""
