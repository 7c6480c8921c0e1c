"""The goal `generate`: rows drawn from a model are judged against real rows."""
