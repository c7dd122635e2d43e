"""Networks that timm does not have, registered with it."""
