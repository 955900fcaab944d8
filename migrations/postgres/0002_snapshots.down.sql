-- stele:loses-data
DROP TABLE snapshots;
