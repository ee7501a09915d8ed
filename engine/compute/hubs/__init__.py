"""Models from hubs and addresses: found, fetched into the cache, checked."""
