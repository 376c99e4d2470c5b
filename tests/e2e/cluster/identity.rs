//! Who the daemon may be, under an authorizer that refuses everything else.
