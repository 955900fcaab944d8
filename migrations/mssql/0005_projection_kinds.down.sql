-- stele:loses-data
ALTER TABLE $(schema).projections DROP CONSTRAINT ck_projection_kinds;
GO

ALTER TABLE $(schema).projections DROP COLUMN kind;
GO
