"""Dead letters to rows. Pure; the Postgres sink reads the topic and writes them."""
