"""The goal `align`: two kinds of things in one space; what belongs together must find each other among new pairs."""
