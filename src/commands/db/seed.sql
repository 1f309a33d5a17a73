-- Sample data for development, safe to run again. It also shows how a table gets its privileges and
-- its audit trail. The tables of the treasury itself are part of another specification.

CREATE TABLE IF NOT EXISTS demo_currency (
    code text PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
    name text NOT NULL,
    minor_units smallint NOT NULL CHECK (minor_units BETWEEN 0 AND 4)
);

COMMENT ON TABLE demo_currency IS 'Sample data of deno task db:seed (some of ISO 4217).';

SELECT audit_table('demo_currency');

SELECT set_config('audit.actor', 'db:seed', true);

INSERT INTO demo_currency AS known VALUES
    ('BHD', 'Bahraini dinar', 3),
    ('CHF', 'Swiss franc', 2),
    ('EUR', 'Euro', 2),
    ('GBP', 'Pound sterling', 2),
    ('JPY', 'Yen', 0),
    ('USD', 'US dollar', 2)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, minor_units = excluded.minor_units
    WHERE known IS DISTINCT FROM excluded;
