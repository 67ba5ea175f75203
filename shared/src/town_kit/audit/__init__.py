"""The audit trail (監査証跡): who saw or changed what of whom, and on what legal basis; chained, verified, anchored."""
