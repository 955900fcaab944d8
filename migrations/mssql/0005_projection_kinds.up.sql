-- What each name is used for, so that nothing else uses it. Unknown for one from before: whoever opens it next says it.

ALTER TABLE $(schema).projections ADD kind NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL;
GO

ALTER TABLE $(schema).projections ADD CONSTRAINT ck_projection_kinds CHECK (
    kind IS NULL OR kind IN (N'projection', N'subscription', N'relay', N'inline'));
GO
