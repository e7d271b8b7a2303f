//! Drops the capabilities of a confined command. Root's would bypass the sandbox: on newer kernels, for example, CAP_PERFMON
//! permits reading the environment of every process in spite of Landlock.

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities, set_capabilities_secure_bits,
};

/// Drops all capabilities of this thread and its future descendants, for good.
pub(super) fn drop_all() -> Result<(), String> {
    let failed = |error: rustix::io::Errno| format!("capabilities: {error}");
    // Without these bits, a program that root starts regains all capabilities. Other users regain none.
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    match set_capabilities_secure_bits(bits) {
        Err(error) if rustix::process::geteuid().is_root() => return Err(failed(error)),
        _ => {}
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(failed)
}
