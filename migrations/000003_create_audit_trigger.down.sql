-- Without CASCADE on purpose: while a table is audited this fails and names its triggers, instead of
-- ending the audit in silence.
DROP FUNCTION audit_table(regclass, name[]);

DROP FUNCTION record_audit();
