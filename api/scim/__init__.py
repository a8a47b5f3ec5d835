"""SCIM 2.0 (RFC 7643, RFC 7644): a company's directory keeps an organization's people and teams. It knows no SQL."""
