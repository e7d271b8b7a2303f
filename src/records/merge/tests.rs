//! What becomes of rows and clients.
