-- stele:loses-data
DROP TABLE dead_letters, projection_members, projection_offsets, projections;
