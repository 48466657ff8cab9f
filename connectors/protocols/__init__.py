"""Wire protocols and formats that several connectors speak and that know no vendor."""
