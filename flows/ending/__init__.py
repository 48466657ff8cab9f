"""Endings in life: what people do to them, many at the same instant, and the net under all of them."""
