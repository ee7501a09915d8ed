"""What is said about the ways to nodes, and what is wrong with their profiles."""

from engine.contract.messages.base import Message

_WAYS: dict[str, Message] = {
    "node.no_answer": Message(
        "Node '{node}' does not answer.",
        "{address} gave no answer within {seconds} s.",
        "Check that the computer runs, that 'address' is right, and that no firewall drops the connection.",
    ),
    "node.port_refused": Message(
        "Nobody listens on node '{node}'.",
        "{address} refused the connection: the computer runs, the service does not, or it has another port.",
        "Start the service there (sshd, or dockerd with TLS), or correct the port in 'address'.",
    ),
    "node.no_route": Message(
        "There is no way to node '{node}'.",
        "The network knows no route to {address}.",
        "Check the network or VPN of this computer, and 'address'.",
    ),
    "node.unknown_host": Message(
        "The name of node '{node}' is not known.",
        "No name service knows the host in {address}.",
        "Correct 'address', or write the IP address there.",
    ),
    "node.broken": Message(
        "The connection to node '{node}' broke off.",
        "{address}: {detail}",
        "It is made again by itself. If this stays, look at the log of the service there.",
    ),
    "node.link_closed": Message(
        "The connection to node '{node}' was closed.", "The node was changed or removed.", "Try again."
    ),
    "node.not_docker": Message(
        "What answers for node '{node}' is no Docker engine.",
        "{address} gave an answer that Docker never gives.",
        "Correct 'address', or 'docker_socket' for a node reached by SSH.",
    ),
    "node.no_engine": Message(
        "Node '{node}' has no Docker engine.", "Its workers are processes.", "Choose a node with Docker."
    ),
    "node.engine_old": Message(
        "Docker on node '{node}' is too old.",
        "It is version {version} with API {api}; API {oldest} (Docker 20.10) is needed.",
        "Update Docker there.",
    ),
    "node.engine_refused": Message(
        "Docker on node '{node}' refused.", "It says: {detail}", "Correct what it names, then try again."
    ),
    "node.disk_full": Message(
        "The disk of node '{node}' is full.",
        "Docker says: {detail}",
        "Free room where Docker keeps its data there: `docker system df` shows what takes it.",
    ),
    "node.socket_missing": Message(
        "Docker's socket of node '{node}' is not there.",
        "'{address}' does not exist, or is no socket.",
        "Install or start Docker (`systemctl start docker`), or set 'address' to the socket's path.",
    ),
    "node.socket_denied": Message(
        "Docker's socket of node '{node}' is not open to you.",
        "Your user may not use '{address}'.",
        "Add your user to the group docker (`sudo usermod -aG docker $USER`), then log in again.",
    ),
    "node.daemon_stopped": Message(
        "Docker of node '{node}' does not run.",
        "'{address}' exists, but nobody listens behind it.",
        "Start it: `sudo systemctl start docker`.",
    ),
    "node.socket_missing_there": Message(
        "Docker's socket is not on node '{node}'.",
        "'{socket}' does not exist at {address}.",
        "Install or start Docker there, or set 'docker_socket' to the socket's path.",
    ),
    "node.socket_denied_there": Message(
        "Docker's socket on node '{node}' is not open to user '{user}'.",
        "The user may not read and write '{socket}' there.",
        "Add the user to the group docker there (`sudo usermod -aG docker {user}`), or name another user in 'address'.",
    ),
    "node.far_socket": Message(
        "Docker's socket on node '{node}' does not open.",
        "'{socket}' at {address} is missing, or user '{user}' may not use it, or Docker does not run.",
        "Start Docker there, add the user to the group docker, or correct 'docker_socket'.",
    ),
    "node.stopped_there": Message(
        "Docker on node '{node}' does not run.",
        "'{socket}' exists at {address}, but nobody listens behind it.",
        "Start it there: `sudo systemctl start docker`.",
    ),
}

_TLS: dict[str, Message] = {
    "node.server_expired": Message(
        "The certificate of node '{node}' has expired.",
        "What {address} shows is no longer valid.",
        "Put a new certificate on the node (dockerd's --tlscert). If it is valid, set this computer's clock.",
    ),
    "node.server_not_yet": Message(
        "The certificate of node '{node}' is not valid yet.",
        "It begins in the future, so a clock is probably wrong.",
        "Set the clock of this computer, or of the one that made the certificate.",
    ),
    "node.server_foreign": Message(
        "The certificate of node '{node}' comes from an authority that is not trusted.",
        "{address} shows a certificate that 'ca' did not sign ({detail}).",
        "Set 'ca' to the certificate of the authority that signed the node's (dockerd's --tlscacert).",
    ),
    "node.server_name": Message(
        "The certificate of node '{node}' is for another computer.",
        "It does not name the host of {address}. {detail}",
        "Write a host into 'address' that the certificate names, or make one that names it (subjectAltName).",
    ),
    "node.server_bad": Message(
        "The certificate of node '{node}' is not accepted.",
        "{address}: {detail}",
        "Put a right certificate on the node (dockerd's --tlscert).",
    ),
    "node.plain_http": Message(
        "Node '{node}' does not speak TLS.",
        "{address} answers without encryption, so anybody could command it.",
        "Start dockerd there with --tlsverify (usual port 2376), or correct the port in 'address'.",
    ),
    "node.client_expired": Message(
        "Your certificate for node '{node}' has expired.",
        "{address} refused it for that.",
        "Set 'certificate' and 'key' to a new pair.",
    ),
    "node.client_foreign": Message(
        "Node '{node}' does not accept your certificate.",
        "{address} trusts another authority than the one that signed it.",
        "Set 'certificate' and 'key' to a pair signed by the authority of the node (dockerd's --tlscacert).",
    ),
    "node.client_missing": Message(
        "Node '{node}' wants to see a certificate of yours.",
        "{address} refuses whoever shows none.",
        "Set 'certificate' and 'key' of the node.",
    ),
    "node.certificate_bad": Message(
        "'{setting}' of node '{node}' holds no certificate.",
        "'{file}' is not in PEM form (-----BEGIN CERTIFICATE-----).",
        "Set '{setting}' to a certificate in PEM form.",
    ),
    "node.key_bad": Message(
        "'{setting}' of node '{node}' holds no private key.",
        "'{file}' is not in PEM form, or is damaged.",
        "Set '{setting}' to the private key in PEM form.",
    ),
    "node.key_of_another": Message(
        "'key' and 'certificate' of node '{node}' do not belong together.",
        "'{file}' is the key of another certificate.",
        "Set both to files of one pair.",
    ),
    "node.key_locked": Message(
        "The private key of node '{node}' has a passphrase.",
        "Nobody is there to type it whenever a connection is made.",
        "For SSH load it into ssh-agent (`ssh-add`); for TLS set 'key' to one without a passphrase, "
        "best in the keyring.",
    ),
    "node.file_missing": Message(
        "'{setting}' of node '{node}' names a file that is not there.",
        "'{file}' does not exist.",
        "Correct '{setting}', or put the file there.",
    ),
    "node.file_unreadable": Message(
        "'{setting}' of node '{node}' names a file that cannot be read.",
        "'{file}': {detail}.",
        "Make it readable for you, or correct '{setting}'.",
    ),
    "node.secret_missing": Message(
        "'{setting}' of node '{node}' is not in the keyring.",
        "There is no entry '{name}', or the keyring is locked.",
        "Unlock it, or store it: `keyring set {service} {name} < FILE`.",
    ),
}

_SSH: dict[str, Message] = {
    "node.ssh_missing": Message(
        "Node '{node}' cannot be reached by SSH.",
        "The program ssh is not installed on this computer.",
        "Install OpenSSH's client (Debian: `sudo apt install openssh-client`).",
    ),
    "node.host_unknown": Message(
        "The host key of node '{node}' is not known.",
        "{address} shows {fingerprint}, and nobody said that it is right.",
        "Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the node itself, "
        "then set 'host_key' to it.",
    ),
    "node.host_changed": Message(
        "Node '{node}' shows another host key than the known one.",
        "{address} shows {fingerprint}. It was installed anew, or somebody stands in between.",
        "Ask whoever runs it. Only if the new key is right, set 'host_key' to it (or correct your known_hosts).",
    ),
    "node.login_refused": Message(
        "Node '{node}' does not let you in.",
        "{address} accepts none of your keys for user '{user}'. {detail}",
        "Set 'key' to the right private key, correct the user in 'address', or add the public key to "
        "~/.ssh/authorized_keys there. A key with a passphrase must be in ssh-agent.",
    ),
    "node.key_open": Message(
        "The private key of node '{node}' is readable by others.",
        "ssh uses no such key.",
        "`chmod 600` the file named in 'key'.",
    ),
    "node.ssh_key_bad": Message(
        "'key' of node '{node}' is no private key that ssh can read.",
        "ssh says: {detail}",
        "Set 'key' to the private key, not to the .pub file.",
    ),
    "node.no_forwarding": Message(
        "Node '{node}' forbids the tunnel to Docker.",
        "The sshd at {address} does not forward to sockets.",
        "Set AllowStreamLocalForwarding and AllowTcpForwarding to yes in its sshd_config.",
    ),
    "node.not_ssh": Message(
        "What answers for node '{node}' ended the talk before a login.",
        "{address}: {detail}",
        "Check the port in 'address', and whether the sshd there refuses your computer (MaxStartups, fail2ban).",
    ),
    "node.ssh_config": Message(
        "ssh on this computer does not start.", "It says: {detail}", "Correct your ~/.ssh/config or its permissions."
    ),
    "node.ssh_failed": Message(
        "There is no SSH connection to node '{node}'.",
        "ssh says: {detail}",
        "Try `ssh` with the same address in a terminal; once that works, the node does.",
    ),
}

_PROFILE: dict[str, Message] = {
    "node.refused": Message("Node '{name}' was not kept.", "Some of its settings cannot be used.", "Correct them."),
    "node.missing": Message("", "It is missing.", "Write something."),
    "node.above": Message("", "It must be more than {above}.", "Write a larger number."),
    "node.too_long": Message("", "It is longer than {most} letters.", "Make it shorter."),
    "node.too_many": Message("", "There are more than {most}.", "Remove some."),
    "node.unknown_setting": Message("", "A node has no such setting.", "Remove it."),
    "node.unknown_setting_near": Message("", "A node has no such setting.", "Did you mean '{near}'?"),
    "node.kind": Message("", "'{value}' is no kind of node.", "Choose one of {kinds}."),
    "node.bad_name": Message(
        "", "'{name}' is no name for a node.", "Begin with a letter or digit; then also . _ - (60 letters at most)."
    ),
    "node.name_of_local": Message(
        "", "'{name}' is the name of this computer's own processes, and only of those.", "Choose another name."
    ),
    "node.no_address": Message("", "It is not said where the node is.", "Write {form}."),
    "node.address_form": Message("", "'{address}' is not of the right form.", "Write {form}, without anything else."),
    "node.host_key_form": Message(
        "",
        "It is neither a public host key nor a fingerprint.",
        "Paste a line of known_hosts, the node's /etc/ssh/ssh_host_ed25519_key.pub, or SHA256:… from `ssh-keygen -lf`.",
    ),
    "node.image_form": Message("", "'{image}' is no name of an image.", "Write NAME:TAG, such as loraforge-worker:1."),
    "node.label_form": Message(
        "",
        "The label '{label}' cannot be used.",
        "Names hold letters, digits and . _ / - (63 at most), values 200 letters on one line.",
    ),
    "node.key_pasted": Message(
        "",
        "It holds a key itself; profiles hold none.",
        "Put it into a file and write its path, or into the keyring and write keyring:NAME.",
    ),
    "node.keyring_form": Message("", "'{name}' is no name of a keyring entry.", "Write keyring:NAME."),
    "node.file_form": Message("", "'{file}' is no whole path.", "Write it from / or ~ on, or keyring:NAME."),
    "node.key_is_public": Message(
        "The key of node '{node}' is a public one.", "'{file}' is a public key.", "Name the file without .pub."
    ),
    "node.half_a_pair": Message("", "Certificate and key belong together.", "Set '{missing}' as well."),
    "node.mount_form": Message("", "'{mount}' is no mount.", "Write /folder/there:/folder/in/the/container."),
    "node.mount_reserved": Message(
        "", "The container needs its own {folder}.", "Choose another folder in the container, such as /data."
    ),
    "node.mount_twice": Message("", "{folder} is mounted twice.", "Choose another folder in the container."),
}

NODES: dict[str, Message] = {
    "node.port_silent": Message(
        "Nobody answers at port {port} of the container.",
        "{detail}",
        "Wait until its worker serves; its log says how far it is.",
    ),
    **_WAYS,
    **_TLS,
    **_SSH,
    **_PROFILE,
}
