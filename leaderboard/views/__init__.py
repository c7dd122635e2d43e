"""What a board looks like: text, files of numbers, pictures. Each view escapes what strangers wrote, for its format."""
