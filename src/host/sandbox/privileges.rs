//! Capabilities, which a confined command has none of. Root's would be ways around: on newer kernels, for one, whoever may
//! monitor performance may read the environment of every process, whatever Landlock says.

use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, set_capabilities, set_capabilities_secure_bits,
};

/// Takes all capabilities from this thread and from everything that it starts from here on, for good.
pub(super) fn drop_all() -> Result<(), String> {
    let failed = |error: rustix::io::Errno| format!("capabilities: {error}");
    // Else a program that root starts has them all again. Whoever is not root gets none anyway.
    let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    match set_capabilities_secure_bits(bits) {
        Err(error) if rustix::process::geteuid().is_root() => return Err(failed(error)),
        _ => {}
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(failed)
}
