-- stele:loses-data
DROP TABLE $(schema).projection_offsets;
