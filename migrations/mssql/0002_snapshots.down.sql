-- stele:loses-data
DROP TABLE $(schema).snapshots;
