"""Where images come from: specs, sources, the decoded cache, batches on the device."""
