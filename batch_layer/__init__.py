"""From the log to the master dataset to batch views: spark-submit jobs."""
