"""The comparison itself: plan, runs, judging, ranking, verdict, store."""
