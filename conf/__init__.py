"""All that a user edits: settings, definitions, contracts, and the files of Spark, Kafka and Ivy."""
